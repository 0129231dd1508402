package simulator

// Update tells the tests outside of the package whether golden files are rewritten.
func Update() bool { return *update }
