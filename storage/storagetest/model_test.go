package storagetest

import (
	"testing"

	"github.com/gnomonhq/gnomon/storage"
)

func modelHarness() Harness {
	return Harness{Open: func(_ testing.TB, outOfOrder int64) storage.Store { return NewModel(outOfOrder) }}
}

func TestModelConforms(t *testing.T) { Run(t, modelHarness()) }

func TestModelAgreesWithItself(t *testing.T) {
	for seed := range uint64(5) {
		RunRandom(t, modelHarness(), seed, 300)
	}
}
