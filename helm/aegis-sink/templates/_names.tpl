{{- define "aegis-sink.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 53 | trimAll "-." }}
{{- end }}

{{/* At most 52: a StatefulSet's pods carry the name and a hash of 10 in a label of at most 63. A
release's name may have dots and begin with a digit, a Service's may not. */}}
{{- define "aegis-sink.fullname" -}}
{{- $name := include "aegis-sink.name" . }}
{{- $full := printf "%s-%s" .Release.Name $name }}
{{- if .Values.fullnameOverride }}
{{- $full = .Values.fullnameOverride }}
{{- else if regexMatch "^[0-9]" .Release.Name }}
{{- $full = printf "%s-%s" $name .Release.Name }}
{{- else if contains $name .Release.Name }}
{{- $full = .Release.Name }}
{{- end }}
{{- $full | replace "." "-" | trunc 52 | trimAll "-" }}
{{- end }}

{{- define "aegis-sink.selector" -}}
app.kubernetes.io/name: {{ include "aegis-sink.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: sink
{{- end }}

{{- define "aegis-sink.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "aegis-sink.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "aegis-sink.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "aegis-sink.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name: name the ServiceAccount that exists, or set serviceAccount.create=true" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "aegis-sink.url" -}}
http://{{ include "aegis-sink.fullname" . }}.{{ .Release.Namespace }}.svc:{{ .Values.service.port }}/webhook
{{- end }}

{{/* What a StatefulSet keeps for its life. */}}
{{- define "aegis-sink.volume" -}}
{{- with .Values.persistence }}
{{- if and .enabled (not .existingClaim) }}
{{- printf "a claim of %s (%s, storage class: %s)" .size (join ", " .accessModes) (default "the default" .storageClass) }}
{{- else }}no claim of its own
{{- end }}
{{- end }}
{{- end }}

{{/* Whether the program may talk to the API server at all. */}}
{{- define "aegis-sink.readsCluster" -}}
{{- if ne (default "auto" .Values.settings.kubernetes) "off" }}yes{{ end }}
{{- end }}
