{{/* The operator's settings: see diffrun_operator.settings for their meaning. Lists and maps are JSON. */}}
{{- define "diffrun.operatorEnv" -}}
{{- $w := .Values.worker -}}
- name: POD_ID
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: DIFFRUN_RELEASE__NAME
  value: {{ .Release.Name | quote }}
- name: DIFFRUN_RELEASE__NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
- name: DIFFRUN_RELEASE__INSTANCE
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
{{- if .Values.clusterWide }}
- name: DIFFRUN_WATCH__CLUSTER_WIDE
  value: "true"
{{- else }}
- name: DIFFRUN_WATCH__NAMESPACES
  value: {{ include "diffrun.namespaces" . | quote }}
{{- end }}
- name: DIFFRUN_GATES__POLICY
  value: {{ include "diffrun.policyName" . }}
- name: DIFFRUN_GATES__BINDING
  value: {{ include "diffrun.policyName" . }}
- name: DIFFRUN_SERVE__LOG_LEVEL
  value: {{ .Values.operator.logLevel }}
- name: DIFFRUN_WORKER__IMAGE
  value: {{ include "diffrun.image" (dict "root" $ "part" "worker" "image" $w.image) | quote }}
- name: DIFFRUN_WORKER__IMAGE_PULL_POLICY
  value: {{ $w.image.pullPolicy }}
- name: DIFFRUN_WORKER__IMAGE_PULL_SECRETS
  value: {{ toJson .Values.imagePullSecrets | quote }}
- name: DIFFRUN_WORKER__SERVICE_ACCOUNT
  value: {{ include "diffrun.workerName" . }}
- name: DIFFRUN_WORKER__USER
  value: {{ int $w.user | quote }}
- name: DIFFRUN_WORKER__GPUS
  value: {{ int $w.gpus | quote }}
- name: DIFFRUN_WORKER__RETRIES
  value: {{ int $w.retries | quote }}
- name: DIFFRUN_WORKER__MAX_IGNORED_DISRUPTIONS
  value: {{ int $w.maxIgnoredDisruptions | quote }}
- name: DIFFRUN_WORKER__TERMINATION_GRACE_SECONDS
  value: {{ int $w.terminationGraceSeconds | quote }}
- name: DIFFRUN_WORKER__RESOURCES
  value: {{ toJson $w.resources | quote }}
- name: DIFFRUN_WORKER__SCRATCH
  value: {{ toJson $w.scratch | quote }}
- name: DIFFRUN_WORKER__NODE_SELECTOR
  value: {{ toJson $w.nodeSelector | quote }}
- name: DIFFRUN_WORKER__TOLERATIONS
  value: {{ toJson $w.tolerations | quote }}
- name: DIFFRUN_WORKER__ANNOTATIONS
  value: {{ toJson $w.podAnnotations | quote }}
- name: DIFFRUN_WORKER__ENV
  value: {{ toJson $w.env | quote }}
- name: DIFFRUN_WORKER__ALLOW_USER_CODE
  value: {{ $w.allowUserCode | quote }}
- name: DIFFRUN_WORKER__FENCED
  value: {{ and .Values.networkPolicies.enabled (not .Values.clusterWide) | quote }}
{{- with $w.runtimeClassName }}
- name: DIFFRUN_WORKER__RUNTIME_CLASS_NAME
  value: {{ . | quote }}
{{- end }}
{{- with $w.priorityClassName }}
- name: DIFFRUN_WORKER__PRIORITY_CLASS_NAME
  value: {{ . | quote }}
{{- end }}
{{- with $w.sharedMemory }}
- name: DIFFRUN_WORKER__SHARED_MEMORY
  value: {{ . | quote }}
{{- end }}
{{- with .Values.huggingFace.endpoint }}
- name: DIFFRUN_HUB__ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- with .Values.huggingFace.tokenSecret }}
{{- if .name }}
- name: DIFFRUN_HUB__TOKEN_SECRET
  value: {{ toJson (dict "name" .name "key" .key) | quote }}
{{- end }}
{{- end }}
{{ include "diffrun.workspaceEnv" . }}
{{ include "diffrun.redisEnv" . }}
{{- end }}

{{- define "diffrun.workspaceEnv" -}}
{{- if .Values.workspace.url -}}
- name: DIFFRUN_WORKSPACE__URL
  value: {{ .Values.workspace.url | quote }}
{{- else -}}
- name: DIFFRUN_WORKSPACE__CLAIM
  value: {{ include "diffrun.claimName" . | quote }}
{{- end }}
{{- with .Values.workspace.secretName }}
- name: DIFFRUN_WORKSPACE__SECRET
  value: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "diffrun.redisEnv" -}}
{{- with include "diffrun.workerRedisSecret" . -}}
- name: DIFFRUN_WORKER__REDIS_SECRET
  value: {{ toJson (dict "name" . "key" "url") | quote }}
{{ end -}}
{{- if .Values.redis.enabled -}}
- name: DIFFRUN_REDIS__URL
  value: redis://{{ include "diffrun.redisHost" . }}/0
- name: DIFFRUN_REDIS__USERNAME
  value: operator
- name: DIFFRUN_REDIS__PASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "diffrun.redisSecret" . | quote }}, key: password-operator}}
{{- else if .Values.redis.external.secretName -}}
- name: DIFFRUN_REDIS__URL
  valueFrom: {secretKeyRef: {name: {{ .Values.redis.external.secretName | quote }}, key: url-operator}}
{{- else -}}
- name: DIFFRUN_WORKER__REDIS_URL
  value: {{ .Values.redis.external.url | quote }}
- name: DIFFRUN_REDIS__URL
  value: {{ .Values.redis.external.url | quote }}
{{- end }}
{{- end }}
