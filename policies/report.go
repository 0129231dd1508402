package policies

// Report is one Report document: a cost report that is mailed on a schedule.
type Report struct {
	Name       string   `json:"name"`
	Source     string   `json:"source"`
	Schedule   string   `json:"schedule"` // five cron fields
	TimeZone   string   `json:"timeZone"` // IANA; UTC unless said
	Recipients []string `json:"recipients"`
	From       string   `json:"from"`
	Namespaces []string `json:"namespaces,omitempty"` // only these; none: every one that is assessed
	SMTP       SMTP     `json:"smtp"`
}

// SMTP is the mail server. Passwords are in a Secret of the daemon's namespace and never in a document.
type SMTP struct {
	Host string `json:"host"`
	Port int    `json:"port"`
	TLS  string `json:"tls"` // starttls (required, never skipped) or implicit
	// Secret names the Secret with username, password and, for a private authority, ca.crt; empty: no AUTH.
	Secret string `json:"secret,omitempty"`
}
