package httpapi

import (
	"cmp"
	"time"
)

// Limits bound the time and the memory that requests may take. The zero value of a field means its default.
type Limits struct {
	// BodyTime is how long all of a body may take to arrive, by default a minute.
	BodyTime time.Duration
	// RefusedBodyTime is how long the body of a request that is refused for its route or its token may take, by default two seconds. It
	// bounds for how long a client without a valid token can hold a connection.
	RefusedBodyTime time.Duration
	// BodyStall is for how long the sender of a body of more than 64 KiB may be behind 64 KiB a second, by default ten seconds.
	BodyStall time.Duration
	// ReceivingBytes bounds the bodies of more than 64 KiB that are being received, over all requests, by default 64 MiB. Their memory is
	// their length. One token may use half of it.
	ReceivingBytes int64
	// DecodingBytes bounds such bodies from when they are complete until their requests are answered, by default 32 MiB. Their memory is
	// up to five times their length. One token may use half of it.
	DecodingBytes int64
	// StreamsOfToken and StreamsOfOrganization bound the breakdowns of a token and of an organization that are being sent, by default 8
	// and 16.
	StreamsOfToken, StreamsOfOrganization int64
	// Wait is how long a request waits for its share of the above before it is answered with 503, by default ten seconds.
	Wait time.Duration
}

func (l Limits) orDefaults() Limits {
	return Limits{
		BodyTime: cmp.Or(l.BodyTime, time.Minute), RefusedBodyTime: cmp.Or(l.RefusedBodyTime, 2*time.Second), BodyStall: cmp.Or(l.BodyStall, 10*time.Second),
		ReceivingBytes: cmp.Or(l.ReceivingBytes, 64<<20), DecodingBytes: cmp.Or(l.DecodingBytes, 32<<20),
		StreamsOfToken: cmp.Or(l.StreamsOfToken, 8), StreamsOfOrganization: cmp.Or(l.StreamsOfOrganization, 16),
		Wait: cmp.Or(l.Wait, 10*time.Second),
	}
}
