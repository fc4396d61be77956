{{/*
Whether this release brings the CRD: "yes", or nothing where the cluster has the very same one from elsewhere.
Call with (dict "root" $ "schema" <digest of the CRD's spec>).
*/}}
{{- define "diffrun.bringsCrd" -}}
{{- $name := "diffusionruns.diffrun.dev" -}}
{{- $there := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" $name -}}
{{- $notes := dict -}}
{{- if $there }}{{ $notes = $there.metadata.annotations | default dict }}{{ end -}}
{{- $release := printf "%s/%s" .root.Release.Namespace .root.Release.Name -}}
{{- $owner := printf "%s/%s" (get $notes "meta.helm.sh/release-namespace") (get $notes "meta.helm.sh/release-name") -}}
{{- if or (not $there) (eq $owner $release) -}}
yes
{{- else if ne (get $notes "diffrun.dev/schema") .schema -}}
{{- fail (printf "crds.install: the cluster's CustomResourceDefinition %s is another version and belongs to %s; upgrade that first, or hand it over: kubectl annotate crd %s meta.helm.sh/release-name=%s meta.helm.sh/release-namespace=%s --overwrite && kubectl label crd %s app.kubernetes.io/managed-by=Helm --overwrite" $name (ternary "no release" (printf "release %s" $owner) (eq $owner "/")) $name .root.Release.Name .root.Release.Namespace $name) -}}
{{- end -}}
{{- end }}
