{{/* The gateway's container, and the volumes it needs. The three shapes share them. */}}

{{- define "regate.security" -}}
runAsUser: {{ int . }}
runAsGroup: {{ int . }}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
{{- end }}

{{/* The seconds in which the gateway leaves. */}}
{{- define "regate.drain" -}}
{{ add .Values.drain.announceSeconds .Values.drain.finishSeconds }}
{{- end }}

{{/* The gateway ends within 5 s of its drain, and a server beside it, which waits for that, 10 s later. */}}
{{- define "regate.grace" -}}
{{ add (include "regate.drain" .) 5 (ternary 10 0 (eq .Values.shape "sidecar")) }}
{{- end }}

{{- define "regate.container" -}}
- name: regate
  image: {{ include "regate.image" . }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  {{- if eq .Values.shape "sidecar" }}
  restartPolicy: Always
  # A native sidecar gets SIGTERM after the server has ended. It must leave first: clients keep their connections to it.
  lifecycle:
    preStop: {exec: {command: [python, -I, -S, -c, "import os; os.kill(1, 15)"]}}
  {{- end }}
  args: [serve, --config, /etc/regate/regate.yaml]
  {{- with .Values.env }}
  env:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  ports:
    - {name: mcp, containerPort: {{ int .Values.port }}}
    - {name: admin, containerPort: {{ int .Values.adminPort }}}
  startupProbe:
    httpGet: {path: /startupz, port: admin}
    periodSeconds: 1
    timeoutSeconds: 2
    failureThreshold: 60
  readinessProbe:
    {{- if eq .Values.shape "sidecar" }}
    # The server listens on 127.0.0.1, where no kubelet can ask it. Until it does, calls would fail.
    httpGet: {path: /readyz/servers, port: admin}
    {{- else }}
    httpGet: {path: /readyz, port: admin}
    {{- end }}
    periodSeconds: 5
    timeoutSeconds: 3
    failureThreshold: 2
  livenessProbe:
    httpGet: {path: /livez, port: admin}
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 6
  resources:
    {{- toYaml .Values.resources | nindent 4 }}
  securityContext:
    {{- include "regate.security" .Values.runAsUser | nindent 4 }}
    readOnlyRootFilesystem: true
  volumeMounts:
    - {name: settings, mountPath: /etc/regate, readOnly: true}
    {{- if or .Values.secretFiles .Values.tls.secretName }}
    - {name: secrets, mountPath: /run/secrets/regate, readOnly: true}
    {{- end }}
    - {name: state, mountPath: /state}
    - {name: tmp, mountPath: /tmp}
{{- end }}

{{- define "regate.server" -}}
- name: {{ .Values.server.name }}
  image: {{ required "server.image: the MCP server that stands beside the gateway" .Values.server.image }}
  imagePullPolicy: {{ .Values.server.imagePullPolicy }}
  {{- with .Values.server.command }}
  command:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.server.args }}
  args:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.server.env }}
  env:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.server.envFrom }}
  envFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  lifecycle:
    preStop: {sleep: {seconds: {{ include "regate.drain" . }}}}
  resources:
    {{- toYaml .Values.server.resources | nindent 4 }}
  securityContext:
    {{- include "regate.security" .Values.server.runAsUser | nindent 4 }}
    readOnlyRootFilesystem: {{ .Values.server.readOnlyRootFilesystem }}
  volumeMounts:
    - {name: server-tmp, mountPath: /tmp}
    {{- with .Values.server.volumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- define "regate.volumes" -}}
{{- $name := include "regate.fullname" . -}}
- name: settings
  projected:
    sources:
      - configMap:
          name: {{ $name }}-settings
          items: [{key: regate.yaml, path: regate.yaml}]
      {{- if .Values.policyFiles }}
      - configMap:
          name: {{ $name }}-policies
          items:
            {{- range $file := keys .Values.policyFiles | sortAlpha }}
            - {key: {{ $file }}, path: policies/{{ $file }}}
            {{- end }}
      {{- end }}
      {{- range .Values.policyConfigMaps }}
      - configMap:
          name: {{ .name }}
          items:
            {{- range .keys }}
            - {key: {{ . }}, path: policies/{{ . }}}
            {{- end }}
      {{- end }}
{{- if or .Values.secretFiles .Values.tls.secretName }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range $file, $from := .Values.secretFiles }}
      - secret:
          name: {{ $from.name }}
          items: [{key: {{ $from.key }}, path: {{ $file }}}]
      {{- end }}
      {{- with .Values.tls.secretName }}
      - secret:
          name: {{ . }}
          items:
            - {key: tls.crt, path: tls/tls.crt}
            - {key: tls.key, path: tls/tls.key}
            {{- with $.Values.tls.clientCa }}
            - {key: {{ . }}, path: tls/ca.crt}
            {{- end }}
      {{- end }}
{{- end }}
- name: state
  {{- if .Values.state.claim.enabled }}
  persistentVolumeClaim: {claimName: {{ $name }}}
  {{- else }}
  emptyDir: {sizeLimit: {{ .Values.state.sizeLimit }}}
  {{- end }}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: {{ .Values.tmpSizeLimit }}}
{{- if eq .Values.shape "sidecar" }}
- name: server-tmp
  emptyDir: {sizeLimit: 256Mi}
{{- with .Values.server.volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}
