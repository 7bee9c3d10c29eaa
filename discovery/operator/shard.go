package operator

import (
	"fmt"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
)

const (
	// hashLabel has what decides the shard of a target. Relabelling may set it.
	hashLabel = "__tmp_hash"
	// everyShardLabel is set by relabelling to something for targets of all shards.
	everyShardLabel = "__tmp_disable_sharding"
)

// shardsOf returns how many servers share the targets.
func shardsOf(spec *monitoringv1.PrometheusSpec) int32 { return max(value(spec.Shards), 1) }

// shard keeps the targets of this server: those whose label, hashed, falls on it.
func (o *object) shard(r *relabelings, label monitoringv1.LabelName) {
	r.match(hashLabel, "(.+);", "$1", label, hashLabel)
	r.add(monitoringv1.RelabelConfig{
		Action: "hashmod", SourceLabels: []monitoringv1.LabelName{hashLabel},
		TargetLabel: hashLabel, Modulus: int64(shardsOf(o.spec)),
	})
	r.keep(fmt.Sprintf("%d;|.+;.+", o.options.Shard), hashLabel, everyShardLabel)
}
