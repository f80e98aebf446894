package web_test

import "testing"

// loaded is true once every panel shows its answer.
const loaded = `!document.querySelector('#usage').hidden && !document.querySelector('[aria-busy]') && !document.querySelector('#builds .csv').disabled
	&& !document.querySelector('#transactions .csv').disabled`

func TestUsage(t *testing.T) {
	s, token := demo(t)
	p := open(t, look{}).visit(s.url + "/#token=" + token).until(loaded)
	p.shoot("desktop")
	p.accessible()
}
