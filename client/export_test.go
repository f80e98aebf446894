package client

// CodeError is the error of a code, for tests that range over all codes.
func CodeError(code string) error { return codeError(code) }
