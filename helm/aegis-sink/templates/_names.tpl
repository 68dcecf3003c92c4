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

{{/* Whether the program may talk to the API server at all. */}}
{{- define "aegis-sink.readsCluster" -}}
{{- if ne (default "auto" .Values.settings.kubernetes) "off" }}yes{{ end }}
{{- end }}

{{/* What no schema can say, with words that help. */}}
{{- define "aegis-sink.check" -}}
{{- if gt (int .Values.replicas) 1 }}
{{- fail (printf "\n\nreplicas=%d: AEGIS Sink keeps its incidents in one SQLite file, which has one writer. Set replicas=1." (int .Values.replicas)) }}
{{- end }}
{{- if and .Values.rbac.namespaces (not .Values.settings.results_namespace) (include "aegis-sink.readsCluster" .) }}
{{- fail "\n\nrbac.namespaces is set: then also set settings.results_namespace to the namespace of the K8sGPT object, because Results are kept there and may not be searched for in all namespaces." }}
{{- end }}
{{- if and .Values.secrets.slack_bot_token (not .Values.settings.slack_channel) }}
{{- fail "\n\nsecrets.slack_bot_token is set: then also set settings.slack_channel, best to the channel's id (C…)." }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) }}
{{- fail "\n\ningress.enabled=true needs ingress.host." }}
{{- end }}
{{- range $rule := .Values.rbac.extraRules }}
{{- range $resource := $rule.resources }}
{{- if or (regexMatch "^secrets(/|$)" $resource) (not (regexMatch "^[^*/]+(/(log|scale|status))?$" $resource)) }}
{{- fail (printf "\n\nrbac.extraRules: %s is refused, because AEGIS Sink only reads. Name resources, or their /log, /scale or /status; never secrets, *, or a subresource that acts although it is only got, like pods/exec and nodes/proxy." $resource) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
