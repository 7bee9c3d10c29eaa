//go:build remove_all_sd && !enable_kubernetes_sd

package main

import (
	"context"
	"errors"

	"github.com/gnomonhq/gnomon/config"
	"github.com/gnomonhq/gnomon/discovery/operator"
)

func (*server) followObjects(context.Context, config.Operator, *operator.Generator, func([]operator.Result)) error {
	return errors.New("this binary was built without Kubernetes discovery")
}
