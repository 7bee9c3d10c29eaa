package registration_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"

	"github.com/gnomonhq/gnomon/discovery/etcd/registration"
)

// A service that exposes its metrics registers itself while it runs.
func Example() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	registered := make(chan error, 1)
	go func() {
		registered <- registration.Run(ctx, registration.Options{
			Endpoints: []string{"10.1.0.1:2379", "10.1.0.2:2379", "10.1.0.3:2379"},
			Key:       "/services/api/web-1",
			Targets:   []string{"10.0.0.1:8080"},
			Labels:    map[string]string{"env": "prod"},
			Logger:    slog.Default(),
		})
	}()

	server := &http.Server{Addr: "10.0.0.1:8080"}
	go server.ListenAndServe()

	<-ctx.Done()
	// The targets are gone from etcd before the server stops.
	if err := <-registered; err != nil {
		fmt.Println(err)
	}
	_ = server.Shutdown(context.Background())
}
