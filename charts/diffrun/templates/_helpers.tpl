{{/* Names, each composed in one place. */}}
{{- define "diffrun.operatorName" -}}{{ .Release.Name }}-operator{{- end }}
{{- define "diffrun.workerName" -}}{{ .Release.Name }}-worker{{- end }}
{{- define "diffrun.approverName" -}}{{ .Release.Name }}-approver{{- end }}
{{- define "diffrun.redisName" -}}{{ .Release.Name }}-redis{{- end }}
{{- define "diffrun.policyName" -}}gates.{{ .Release.Name }}.{{ .Release.Namespace }}.diffrun.dev{{- end }}
{{/* Cluster-scoped objects name the namespace too, so that releases of one name do not meet. */}}
{{- define "diffrun.clusterName" -}}{{ .Release.Name }}.{{ .Release.Namespace }}{{- end }}
{{- define "diffrun.claimName" -}}{{ .Values.workspace.existingClaim | default (printf "%s-workspace" .Release.Name) }}{{- end }}

{{- define "diffrun.redisSecret" -}}
{{ .Values.redis.existingSecret | default (include "diffrun.redisName" .) }}
{{- end }}

{{/* The Secret in each run namespace with the workers' URL; empty where the external Redis needs none. */}}
{{- define "diffrun.workerRedisSecret" -}}
{{- if .Values.redis.enabled -}}
{{ .Values.redis.existingWorkerSecret | default (printf "%s-worker-redis" .Release.Name) }}
{{- else -}}
{{ .Values.redis.external.secretName }}
{{- end -}}
{{- end }}

{{- define "diffrun.redisHost" -}}{{ include "diffrun.redisName" . }}.{{ .Release.Namespace }}.svc:6379{{- end }}

{{/* The namespaces served, as JSON; the release's own comes first. */}}
{{- define "diffrun.namespaces" -}}
{{- prepend .Values.runNamespaces .Release.Namespace | uniq | toJson -}}
{{- end }}

{{/* Call with (dict "root" $ "component" "redis"). */}}
{{- define "diffrun.selectorLabels" -}}
app.kubernetes.io/name: diffrun
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "diffrun.labels" -}}
{{ include "diffrun.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* Call with (dict "root" $ "part" "operator" "image" .Values.operator.image). */}}
{{- define "diffrun.image" -}}
{{- $tag := .image.tag | default .root.Chart.AppVersion -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else if .root.Values.strictImages -}}
{{- fail (printf "%s.image.digest: strictImages is on, so every image needs a digest (sha256:…); the tag %s may change under you" .part $tag) -}}
{{- else -}}
{{ .image.repository }}:{{ $tag }}
{{- end -}}
{{- end }}

{{- define "diffrun.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* The restricted Pod Security Standard. Call with the numeric user. */}}
{{- define "diffrun.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "diffrun.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* The port in redis.external.url; 6379 where it names none, or only a Secret knows the URL. */}}
{{- define "diffrun.externalRedisPort" -}}
{{- $host := (urlParse (.Values.redis.external.url | default "redis://redis")).host -}}
{{- if contains ":" $host }}{{ last (splitList ":" $host) }}{{ else }}6379{{ end -}}
{{- end }}

{{/*
The volume for a claim on a directory of the node: that of the claim as it is, or a new name. A volume whose claim
went with its namespace stays Released for ever, so the claim's successor cannot have it again.
Call once for each claim, with (dict "namespace" $namespace "claim" <the claim's name>).
*/}}
{{- define "diffrun.volumeName" -}}
{{- $claim := lookup "v1" "PersistentVolumeClaim" .namespace .claim | default dict -}}
{{- dig "spec" "volumeName" "" $claim | default (printf "%s.%s.%s" .namespace .claim (randAlphaNum 6 | lower)) -}}
{{- end }}
