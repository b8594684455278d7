{{- define "todo-operator.labels" -}}
app.kubernetes.io/name: todo-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "todo-operator.selector" -}}
app.kubernetes.io/name: todo-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* In one namespace, platforms' objects are its only business. */}}
{{- define "todo-operator.kind" -}}
{{- if .Values.watchNamespace }}Role{{ else }}ClusterRole{{ end }}
{{- end }}
