package billing

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// Digest is the SHA-256 of a ledger up to one entry: it covers the entry, the lease that the entry bills, and the digest before it, and
// so all entries before it. Whoever has kept the digest of an entry can therefore tell later whether anything up to this entry was
// changed. The digest before the first entry is that of the organization. docs/ledger.md describes the bytes for other programs.
//
// A Digest of zeros stands for none, which is NULL in a database.
type Digest [sha256.Size]byte

// ParseDigest reads 64 hexadecimal digits.
func ParseDigest(text string) (d Digest, err error) {
	if len(text) == hex.EncodedLen(len(d)) {
		if _, err = hex.Decode(d[:], []byte(text)); err == nil {
			return d, nil
		}
	}
	return Digest{}, fmt.Errorf("a digest has %d hexadecimal digits", hex.EncodedLen(len(d)))
}

// String returns 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// A form is the sequence of bytes of which a digest is made: the version of the form, the kind of the record, and the values of the
// record in the order of its fields. Values that are null are left out at the end of a form, so a field that is added at the end of a
// list of fields changes no digest of a record without it.
const formVersion = 1

// The kinds of records.
const (
	formOrganization = 'O'
	formLease        = 'L'
	formEntry        = 'E'
	formRateCard     = 'C'
)

// Digest returns the digest before the first entry of the organization's ledger.
func (o *Organization) Digest() Digest {
	return sha256.Sum256(appendFields([]byte{formVersion, formOrganization}, OrganizationFields, o))
}

// Chain returns the digest of the entry in the ledger of the organization. The digest previous is that of the entry before it, and the
// lease is the one that the entry bills, nil if there is none.
func (e *Entry) Chain(previous Digest, org ID, lease *Lease) Digest {
	form := make([]byte, 0, 512)
	var leaseDigest []byte
	if lease != nil {
		form = appendFields(appendBytes(append(form, formVersion, formLease), org[:]), LeaseFields, lease)
		sum := sha256.Sum256(form)
		leaseDigest, form = sum[:], form[:0]
	}
	form = appendBytes(append(form, formVersion, formEntry), previous[:])
	form = appendBytes(form, org[:])
	if leaseDigest == nil {
		form = append(form, formNull)
	} else {
		form = appendBytes(form, leaseDigest)
	}
	return sha256.Sum256(appendFields(form, EntryFields, e))
}

// The first byte of a value in a form. The length of a value in bytes follows formKnown in four bytes, and then the value.
const (
	formNull  = 0
	formKnown = 1
)

// appendFields appends the values of all fields that are no digests, without those that are null at the end.
func appendFields[T any](form []byte, fields []Field[T], of *T) []byte {
	end := len(form)
	for i := range fields {
		switch v := fields[i].Known(of).(type) {
		case *Digest:
			continue
		case nil:
			form = append(form, formNull)
			continue
		case *int64:
			form = appendNumber(form, *v)
		case *Time:
			form = appendNumber(form, int64(*v))
		case *string:
			form = appendBytes(form, *v)
		case *Source:
			form = appendBytes(form, *v)
		case *ID:
			form = appendBytes(form, v[:])
		default:
			panic(fmt.Sprintf("a field of type %T", v))
		}
		end = len(form)
	}
	return form[:end]
}

func appendNumber(form []byte, n int64) []byte {
	form = append(form, formKnown, 0, 0, 0, 8)
	return binary.BigEndian.AppendUint64(form, uint64(n))
}

func appendBytes[T ~string | ~[]byte](form []byte, value T) []byte {
	form = append(form, formKnown)
	form = binary.BigEndian.AppendUint32(form, uint32(len(value))) //nolint:gosec // texts of the books are shorter than a request
	return append(form, value...)
}
