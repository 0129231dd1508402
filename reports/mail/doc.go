// Package mail hands reports to a mail server by SMTP: each to one recipient, over a connection that is
// encrypted or not used at all. It knows nothing of reports and keeps nothing: whether and when
// something is sent again is the caller's decision, for which every error says whether it is final.
package mail
