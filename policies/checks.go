package policies

// Checks judge what this package cannot by itself, because it reads neither calendars nor zone files.
// Without a function only the form is judged. Each error says what is wrong and does not repeat the value.
type Checks struct {
	Schedule func(string) error // five cron fields; also an error where no date ever matches
	TimeZone func(string) error // an IANA name
}
