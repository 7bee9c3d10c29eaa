package scrape

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(farmVariable) != "" {
		serveFarm()
		return
	}
	goleak.VerifyTestMain(m)
}
