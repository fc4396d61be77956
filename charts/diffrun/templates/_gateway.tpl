{{/* Names and rules of the gateway. */}}
{{- define "diffrun.gatewayName" -}}{{ .Release.Name }}-gateway{{- end }}

{{/* Names by which browsers and pods may ask for the pages. */}}
{{- define "diffrun.gatewayHosts" -}}
{{- $name := include "diffrun.gatewayName" . -}}
{{- $own := list "localhost" "127.0.0.1" "[::1]" $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) -}}
{{- concat $own .Values.gateway.hosts | uniq | toJson -}}
{{- end }}

{{/*
Run namespaces with a claim of their own, which a pod of the release's namespace cannot mount, joined by commas; empty
where all write to the same place.
*/}}
{{- define "diffrun.elsewhere" -}}
{{- if and .Values.gateway.enabled (not .Values.workspace.url) (not .Values.workspace.hostPath) -}}
{{- without .Values.runNamespaces .Release.Namespace | join ", " -}}
{{- end -}}
{{- end }}

{{- define "diffrun.checkGateway" -}}
{{- $g := .Values.gateway -}}
{{- if and (not $g.auth.enabled) (ne $g.service.type "ClusterIP") -}}
{{- fail (printf "gateway.auth.enabled: false lets everybody look who reaches the Service, so it must stay inside the cluster: set gateway.service.type: ClusterIP (it is %s), or turn sign-in on" $g.service.type) -}}
{{- end -}}
{{- if and $g.service.nodePort (ne $g.service.type "NodePort") -}}
{{- fail (printf "gateway.service.nodePort: a Service of type %s has none; set gateway.service.type: NodePort" $g.service.type) -}}
{{- end -}}
{{- if and (not $g.auth.enabled) $g.hosts -}}
{{- fail "gateway.hosts: names from outside the cluster need sign-in; set gateway.auth.enabled: true, or leave the list empty" -}}
{{- end -}}
{{- if and $g.enabled (not .Values.redis.enabled) (not .Values.redis.external.secretName) (not .Values.redis.external.url) -}}
{{- fail "gateway: there is no Redis to read from" -}}
{{- end -}}
{{- end }}

{{/* The Secret with the gateway's access to the object store, in the release's namespace; empty without one. */}}
{{- define "diffrun.gatewayStoreSecret" -}}
{{- if .Values.workspace.url -}}{{ .Values.gateway.workspaceSecretName | default .Values.workspace.secretName }}{{- end -}}
{{- end }}

{{/* The gateway's settings: see diffrun_gateway.settings for their meaning. */}}
{{- define "diffrun.gatewayEnv" -}}
{{- $g := .Values.gateway -}}
- name: DIFFRUN_GATEWAY_SERVE__STATIC
  value: /opt/diffrun/static
- name: DIFFRUN_GATEWAY_SERVE__HOSTS
  value: {{ include "diffrun.gatewayHosts" . | quote }}
- name: DIFFRUN_GATEWAY_SERVE__PREFIX
  value: {{ $g.prefix | quote }}
- name: DIFFRUN_GATEWAY_SERVE__SECURE_COOKIE
  value: {{ $g.auth.secureCookie | quote }}
- name: DIFFRUN_GATEWAY_SERVE__LOG_LEVEL
  value: {{ $g.logLevel }}
- name: DIFFRUN_GATEWAY_AUTH__MODE
  value: {{ ternary "kubernetes" "none" $g.auth.enabled }}
- name: DIFFRUN_GATEWAY_AUTH__AUDIENCES
  value: {{ toJson $g.auth.audiences | quote }}
{{- if .Values.approver.create }}
- name: DIFFRUN_GATEWAY_AUTH__APPROVER_ROLE
  value: {{ include "diffrun.approverName" . }}
{{- end }}
{{- if .Values.clusterWide }}
- name: DIFFRUN_GATEWAY_RUNS__CLUSTER_WIDE
  value: "true"
{{- else }}
- name: DIFFRUN_GATEWAY_RUNS__NAMESPACES
  value: {{ include "diffrun.namespaces" . | quote }}
{{- end }}
{{- if .Values.workspace.url }}
- name: DIFFRUN_GATEWAY_WORKSPACE_URL
  value: {{ .Values.workspace.url | quote }}
{{- else }}
- name: DIFFRUN_GATEWAY_WORKSPACE
  value: /workspace
{{- if include "diffrun.elsewhere" . }}
- name: DIFFRUN_GATEWAY_WORKSPACE_NAMESPACE
  value: {{ .Release.Namespace | quote }}
{{- end }}
{{- end }}
{{- if .Values.redis.enabled }}
- name: DIFFRUN_GATEWAY_REDIS__URL
  value: redis://{{ include "diffrun.redisHost" . }}/0
- name: DIFFRUN_GATEWAY_REDIS__USERNAME
  value: reader
- name: DIFFRUN_GATEWAY_REDIS__PASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "diffrun.redisSecret" . }}, key: password-reader}}
{{- else if .Values.redis.external.secretName }}
- name: DIFFRUN_GATEWAY_REDIS__URL
  valueFrom: {secretKeyRef: {name: {{ .Values.redis.external.secretName }}, key: url-reader}}
{{- else }}
- name: DIFFRUN_GATEWAY_REDIS__URL
  value: {{ .Values.redis.external.url | quote }}
{{- end }}
{{- end }}
