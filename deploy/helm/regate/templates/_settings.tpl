{{/* regate.yaml: what the operator wrote, and what the chart knows of the pod. */}}

{{- define "regate.settings" -}}
{{- $given := .Values.settings -}}
{{- range list "listen_host" "listen_port" "admin_listen" "state" "tls" "drain" "allowed_hosts" "allowed_origins" "ready_file" "auth" }}
{{- if hasKey $given . }}
{{- fail (printf "settings.%s: the chart sets it; see port, adminPort, state, tls, drain, allowedHosts and allowedOrigins" .) }}
{{- end }}
{{- end }}
{{- if not $given.servers }}
{{- fail "settings.servers: name the MCP servers, for example {tickets: {url: http://tickets:8000/mcp}}" }}
{{- end }}
{{- if not (or $given.grants $given.oauth) }}
{{- fail "settings.grants: without a grant (or settings.oauth) nobody may call, and the gateway does not start" }}
{{- end }}
{{- $files := keys (.Values.policyFiles | default dict) -}}
{{- range .Values.policyConfigMaps }}
{{- $files = concat $files (.keys | default list) -}}
{{- end }}
{{- range $id, $policy := $given.policies }}
{{- $file := $policy.file | default "" | toString }}
{{- if and (hasPrefix "policies/" $file) (not (has (trimPrefix "policies/" $file) $files)) }}
{{- fail (printf "settings.policies.%s: %s is in no policyFiles and no policyConfigMaps" $id $file) }}
{{- end }}
{{- end }}
{{- if include "regate.several" . }}
{{- if not (and $given.redis $given.session_key) }}
{{- fail "settings.redis and settings.session_key: several replicas count together in Redis and know each other's sessions" }}
{{- end }}
{{- if eq ($given.replicas | default "several") "one" }}
{{- fail "settings.replicas: there is more than one; leave it out, or say sticky" }}
{{- end }}
{{- end }}
{{- $own := dict "listen_host" "0.0.0.0" "listen_port" .Values.port "state" "/state" -}}
{{- $_ := set $own "admin_listen" (printf "0.0.0.0:%d" (int .Values.adminPort)) -}}
{{- $_ := set $own "allowed_hosts" (concat (include "regate.hosts" . | fromJsonArray) .Values.allowedHosts) -}}
{{- $_ := set $own "drain" (dict "announce_s" .Values.drain.announceSeconds "finish_s" .Values.drain.finishSeconds) -}}
{{- with .Values.allowedOrigins }}
{{- $_ := set $own "allowed_origins" . -}}
{{- end }}
{{- if .Values.tls.secretName }}
{{- $tls := dict "cert_file" "/run/secrets/regate/tls/tls.crt" "key_file" "/run/secrets/regate/tls/tls.key" -}}
{{- if .Values.tls.clientCa }}
{{- $_ := set $tls "client_ca_file" "/run/secrets/regate/tls/ca.crt" -}}
{{- end }}
{{- $_ := set $own "tls" $tls -}}
{{- end }}
{{- if include "regate.several" . }}
{{- $_ := set $own "replicas" ($given.replicas | default "several") -}}
{{- end }}
{{- toYaml (merge $own $given) }}
{{- end }}
