package billing

// EncodeCursor makes a cursor as the Service does, for any place.
var EncodeCursor = encodeCursor
