{{- /* The labels of the daemon and its objects; the first is what selects its pods. */ -}}
{{- define "trimtab.labels" -}}
app.kubernetes.io/name: trimtab
{{- end }}

{{- /* The daemon as the subject of a binding. */ -}}
{{- define "trimtab.daemon" -}}
- kind: ServiceAccount
  name: trimtab
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- /* A number of mebibytes from text such as 512Mi or 2Gi; the schema admits nothing else. */ -}}
{{- define "trimtab.mebibytes" -}}
{{- if hasSuffix "Gi" . }}{{ mul (trimSuffix "Gi" . | int64) 1024 }}{{ else }}{{ trimSuffix "Mi" . }}{{ end }}
{{- end }}
