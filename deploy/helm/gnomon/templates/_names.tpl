{{/* The name of all objects: a release called gnomon needs it once. */}}
{{- define "gnomon.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "gnomon.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "gnomon.fullname" .) -}}
{{- end -}}

{{/* What pods are found by. It never changes over the life of a release. */}}
{{- define "gnomon.selectorLabels" -}}
app.kubernetes.io/name: gnomon
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "gnomon.labels" -}}
{{ include "gnomon.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}
