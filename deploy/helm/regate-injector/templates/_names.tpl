{{/* What all objects share. No objects here. The name is fixed: there is one injector in a cluster. */}}

{{- define "injector.selector" -}}
app.kubernetes.io/name: regate-injector
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "injector.metadata" -}}
name: regate-injector
namespace: {{ .Release.Namespace }}
labels:
  {{- include "injector.labels" . | nindent 2 }}
{{- end }}

{{- define "injector.labels" -}}
{{ include "injector.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "injector.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}
{{- end }}

{{- define "injector.sidecar" -}}
{{ default (.Files.Get "sidecar.yaml") .Values.sidecar }}
{{- end }}

{{/* The API server's way to the injector; with the path to ask. */}}
{{- define "injector.client" -}}
service: {name: regate-injector, namespace: {{ .root.Release.Namespace }}, path: {{ .path }}, port: 443}
{{- end }}

{{/* cert-manager has the API server trust its certificate; otherwise the injector does. */}}
{{- define "injector.trust" -}}
{{- if eq .Values.certificate.by "cert-manager" }}
annotations:
  cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/regate-injector
{{- end }}
{{- end }}
