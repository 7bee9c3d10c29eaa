//go:build !remove_all_sd || enable_kubernetes_sd

package main

import (
	"context"
	"errors"
	"sync"

	upstream "github.com/prometheus/prometheus/discovery/kubernetes"

	"github.com/gnomonhq/gnomon/config"
	"github.com/gnomonhq/gnomon/discovery/kubernetes"
	"github.com/gnomonhq/gnomon/discovery/operator"
	"github.com/gnomonhq/gnomon/discovery/operator/controller"
)

// followObjects follows the objects of a cluster until ctx ends.
func (s *server) followObjects(ctx context.Context, section config.Operator, g *operator.Generator, tell func([]operator.Result)) error {
	for _, m := range s.mechanisms {
		shared, ok := m.(*kubernetes.Mechanism)
		if !ok {
			continue
		}
		client, err := shared.Connect(&upstream.SDConfig{KubeConfig: section.KubeConfigFile, HTTPClientConfig: upstream.DefaultSDConfig.HTTPClientConfig})
		if err != nil {
			return err
		}
		defer client.Close()
		logger := s.component("operator")
		options := controller.Options{
			Client: client, Generator: g, KubeConfigFile: section.KubeConfigFile, Logger: logger,
			CheckJob: s.scraper.Check, OnChange: tell,
		}
		var writing sync.WaitGroup
		defer writing.Wait()
		if section.WriteStatus {
			options.Writer = controller.NewStatusWriter(client.Dynamic, section.Namespace, section.Name, s.statusWrites, logger)
			writing.Go(func() { options.Writer.Run(ctx) })
		}
		controller.New(options).Run(ctx)
		return nil
	}
	return errors.New("the binary has no Kubernetes discovery")
}
