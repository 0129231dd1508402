package serving

import "strings"

// traceOf is the trace id of a W3C traceparent header ("00-" 32 hex "-" 16 hex "-" 2 hex) and whether the
// trace is sampled; empty where the header is not one (https://www.w3.org/TR/trace-context/).
func traceOf(header string) (id string, sampled bool) {
	parts := strings.Split(header, "-")
	if len(parts) < 4 || len(parts[0]) != 2 || parts[0] == "ff" || parts[0] == "00" && len(parts) != 4 {
		return "", false
	}
	if len(parts[1]) != 32 || len(parts[2]) != 16 || len(parts[3]) != 2 || !hex(parts[0]+parts[1]+parts[2]+parts[3]) {
		return "", false
	}
	if strings.Trim(parts[1], "0") == "" || strings.Trim(parts[2], "0") == "" {
		return "", false
	}
	return parts[1], strings.Contains("13579bdf", parts[3][1:])
}

func hex(s string) bool { return strings.Trim(s, "0123456789abcdef") == "" }
