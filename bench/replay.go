package main

import "errors"

// replay opens the folder that a crash left.
//
//	replay_ns    processor time per sample in the log
//	replay_wall  seconds until the database is open
func replay(j job, e engine) (values, bool, error) {
	if j.Engine == victoria {
		return nil, false, errors.New("it has no log")
	}
	c, err := measureProfiled(j.Profile, func() error { return e.open(j.Dir) })
	if err != nil {
		return nil, false, err
	}
	return values{
		"replay_ns":   float64(c.cpu) / float64(j.Samples),
		"replay_wall": c.wall.Seconds(),
	}, true, nil
}
