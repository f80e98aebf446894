package billing

// EncodeCursor lets tests outside of the package make cursors that the Service does not return.
var EncodeCursor = encodeCursor
