{{/* What no schema can say, with words that help. */}}
{{- define "aegis-sink.check" -}}
{{- if gt (int .Values.replicas) 1 }}
{{- fail (printf "\n\nreplicas=%d: AEGIS Sink keeps its incidents in one SQLite file, which has one writer. Set replicas=1." (int .Values.replicas)) }}
{{- end }}
{{- if and .Values.rbac.namespaces (not .Values.settings.results_namespace) (include "aegis-sink.readsCluster" .) }}
{{- fail "\n\nrbac.namespaces is set: then also set settings.results_namespace to the namespace of the K8sGPT object, because Results are kept there and may not be searched for in all namespaces." }}
{{- end }}
{{- $name := include "aegis-sink.fullname" . }}
{{- $volume := include "aegis-sink.volume" . }}
{{- $running := lookup "apps/v1" "StatefulSet" .Release.Namespace $name }}
{{- $made := dig "metadata" "annotations" "aegis-sink/volume" $volume $running }}
{{- if ne $made $volume }}
{{- fail (printf "\n\npersistence: the StatefulSet was made with %s. Kubernetes does not turn that into %s in place. Delete it: claims and what is on them stay, and the pod is away until you upgrade again.\n  kubectl -n %s delete statefulset %s\nA claim that exists keeps its size until you change it: kubectl -n %s edit pvc data-%s-0" $made $volume .Release.Namespace $name .Release.Namespace $name) }}
{{- end }}
{{- $model := default "" .Values.settings.llm_url }}
{{- if and .Values.ollama.create $model (not (contains (printf "//%s-ollama" $name) $model)) }}
{{- fail (printf "\n\nollama.create=true, but settings.llm_url=%s is what would be asked. Take one of them away (--set settings.llm_url=null)." $model) }}
{{- end }}
{{- with .Values.networkPolicy }}
{{- $inside := regexFind "^https?://[^./:]+\\.[^./:]+\\.svc([./:]|$)" $model }}
{{- if and .enabled $inside (not .extraEgress) (ne (index (splitList "." $inside) 1) .modelNamespace) }}
{{- fail (printf "\n\nsettings.llm_url=%s is not in the namespace %s, the only one in which the NetworkPolicy lets the program reach a model. Set networkPolicy.modelNamespace." $model .modelNamespace) }}
{{- end }}
{{- end }}
{{- range $label, $_ := include "aegis-sink.selector" . | fromYaml }}
{{- if hasKey (default dict $.Values.podLabels) $label }}
{{- fail (printf "\n\npodLabels: the pod is found by %s. Use another label, or nameOverride." $label) }}
{{- end }}
{{- end }}
{{- range .Values.extraEnv }}
{{- $setting := .name | trimPrefix "AEGIS_" | lower }}
{{- if and (hasPrefix "AEGIS_" .name) (or (has $setting (list "host" "port" "database_url" "lease_name")) (hasKey $.Values.settings $setting) (hasKey $.Values.secrets $setting)) }}
{{- fail (printf "\n\nextraEnv: %s is set by the chart already, and twice is once too often for kubectl and helm. Use settings.<name> or secrets.<name>." .name) }}
{{- end }}
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
