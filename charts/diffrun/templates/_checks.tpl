{{/* What the schema cannot say: rules over several values, each with the remedy. */}}
{{- define "diffrun.checks" -}}
{{- include "diffrun.checkWorkspace" . -}}
{{- include "diffrun.checkStore" . -}}
{{- include "diffrun.checkNamespaces" . -}}
{{- include "diffrun.checkRedis" . -}}
{{- include "diffrun.checkTokens" . -}}
{{- end }}

{{- define "diffrun.checkWorkspace" -}}
{{- $w := .Values.workspace -}}
{{- $given := list -}}
{{- range $key := list "url" "existingClaim" "hostPath" -}}
{{- if index $w $key }}{{ $given = append $given (printf "workspace.%s" $key) }}{{ end -}}
{{- end -}}
{{- if gt (len $given) 1 -}}
{{- fail (printf "%s: set one of them; a workspace is in one place" (join ", " $given)) -}}
{{- end -}}
{{- if and $w.hostPath (not .Values.singleNode) -}}
{{- fail "workspace.hostPath: a directory of one node serves only one node; set singleNode: true, or use a ReadWriteMany claim or workspace.url" -}}
{{- end -}}
{{- if and .Values.redis.persistence.hostPath (not .Values.singleNode) -}}
{{- fail "redis.persistence.hostPath: a directory of one node serves only one node; set singleNode: true, or use a claim" -}}
{{- end -}}
{{- if and (not $w.url) (ne $w.accessMode "ReadWriteMany") (not .Values.singleNode) -}}
{{- fail (printf "workspace.accessMode: %s can be mounted by one node only; use ReadWriteMany or workspace.url, or set singleNode: true where there is one node" $w.accessMode) -}}
{{- end -}}
{{- if and $w.existingClaim (not .Values.singleNode) -}}
{{- range $namespace := include "diffrun.namespaces" . | fromJsonArray -}}
{{- $claim := lookup "v1" "PersistentVolumeClaim" $namespace $w.existingClaim -}}
{{- if and $claim (not (has "ReadWriteMany" $claim.spec.accessModes)) -}}
{{- fail (printf "workspace.existingClaim: %s in namespace %s is not ReadWriteMany; use one that is, or workspace.url, or set singleNode: true where there is one node" $w.existingClaim $namespace) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Workers behind a fence reach the store by a rule of its own: a default would open HTTPS to everywhere. */}}
{{- define "diffrun.checkStore" -}}
{{- if and .Values.workspace.url .Values.networkPolicies.enabled (not .Values.clusterWide) (not .Values.networkPolicies.workerEgress) -}}
{{- fail (printf "networkPolicies.workerEgress: with workspace.url every worker must reach the store at %s; give an egress rule with its address and port" .Values.workspace.url) -}}
{{- end -}}
{{- if and .Values.gateway.workspaceSecretName (not .Values.workspace.url) -}}
{{- fail "gateway.workspaceSecretName: a mounted workspace needs no keys; leave it empty, or set workspace.url" -}}
{{- end -}}
{{- end }}

{{- define "diffrun.checkNamespaces" -}}
{{- if .Values.clusterWide -}}
{{- if not .Values.workspace.url -}}
{{- fail "clusterWide: a claim belongs to one namespace; serving all of them needs workspace.url, an object store" -}}
{{- end -}}
{{- if .Values.runNamespaces -}}
{{- fail "runNamespaces: clusterWide serves every namespace; leave the list empty, or set clusterWide: false" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "diffrun.checkRedis" -}}
{{- $r := .Values.redis -}}
{{- $external := or $r.external.url $r.external.secretName -}}
{{- if and $r.enabled $external -}}
{{- fail "redis.external: set redis.enabled: false to use another Redis" -}}
{{- end -}}
{{- if not (or $r.enabled $external) -}}
{{- fail "redis.external: with redis.enabled: false, set redis.external.secretName (URLs with credentials) or redis.external.url (without)" -}}
{{- end -}}
{{- if and $r.enabled (ne (empty $r.existingSecret) (empty $r.existingWorkerSecret)) -}}
{{- fail "redis.existingSecret, redis.existingWorkerSecret: set both or neither; the workers' Secret is a separate one, so that no run can read the operator's password" -}}
{{- end -}}
{{- end }}

{{- define "diffrun.checkTokens" -}}
{{- if hasKey .Values.huggingFace "token" -}}
{{- fail "huggingFace.token: a token never stands in values, where `helm get values` shows it; put it into a Secret and name that in huggingFace.tokenSecret.name" -}}
{{- end -}}
{{- range $name := list "HF_TOKEN" "HUGGING_FACE_HUB_TOKEN" -}}
{{- if hasKey $.Values.worker.env $name -}}
{{- fail (printf "worker.env.%s: a token never stands in values, where `helm get values` shows it; put it into a Secret and name that in huggingFace.tokenSecret.name" $name) -}}
{{- end -}}
{{- end -}}
{{- end }}
