package functions

import "time"

// ofDate makes an ElementFunc of a function of the date, in UTC, that a float is
// in seconds since 1970.
func ofDate(f func(time.Time) int) ElementFunc {
	return each(func(v float64) float64 { return float64(f(time.Unix(int64(v), 0).UTC())) })
}

// daysInMonth uses that the 32nd of a month is a day of the next one.
func daysInMonth(t time.Time) int {
	return 32 - time.Date(t.Year(), t.Month(), 32, 0, 0, 0, 0, time.UTC).Day()
}

func dayOfWeek(t time.Time) int { return int(t.Weekday()) }
func month(t time.Time) int     { return int(t.Month()) }
