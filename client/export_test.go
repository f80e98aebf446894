package client

// CodeError is the error of a code, for tests that read the codes from the contract.
func CodeError(code string) error { return codeError(code) }
