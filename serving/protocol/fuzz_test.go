package protocol

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"trimtab.dev/trimtab/serving/runtime"
)

// FuzzScanner: what is JSON is what encoding/json says is, and strings mean the same.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{`{}`, ` [1, -0.5e+3 ,true,null,"a\u00e9\n"] `, `{"a":{"b":[[],{}]},"c":"\ud83d\ude00"}`, `"\ud83d"`, `"\ud83d\ud83d\ude00"`,
		`[1,]`, `{"a":}`, `"` + "\x01" + `"`, `"abcdefg\"h\\"`, "\"\xff\xfe\"", `01`, `1.e5`, `tru`, `[[[[`, `]`, `{"a" 1}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := scanner{text: []byte(text)}
		err := s.skip()
		if err == nil {
			err = s.ended()
		}
		if valid := json.Valid([]byte(text)); valid != (err == nil) {
			t.Fatalf("%q: %v; encoding/json says %v", text, err, valid)
		}
		s = scanner{text: []byte(text)}
		var want string
		got, err := s.str()
		if err == nil && s.ended() == nil && (json.Unmarshal([]byte(text), &want) != nil || want != string([]rune(string(got)))) {
			t.Fatalf("%q is %q; encoding/json says %q", text, got, want)
		}
	})
}

// twin reads a request for denseMeta(2) with encoding/json alone. Known is false where it does not say.
func twin(body string) (data []float32, id string, ok, known bool) {
	var top map[string]json.RawMessage
	if json.Unmarshal([]byte(body), &top) != nil || top == nil {
		return nil, "", false, true
	}
	var inputs []map[string]json.RawMessage
	var shape []int
	var name, datatype string
	if json.Unmarshal(top["inputs"], &inputs) != nil || len(inputs) != 1 || inputs[0] == nil {
		return nil, "", false, true
	}
	in := inputs[0]
	if top["parameters"] != nil || top["outputs"] != nil || in["parameters"] != nil || repeats(body) || strings.Contains(body, "null") {
		return nil, "", false, false
	}
	if top["id"] != nil && json.Unmarshal(top["id"], &id) != nil || json.Unmarshal(in["name"], &name) != nil || name != "input" ||
		json.Unmarshal(in["datatype"], &datatype) != nil || json.Unmarshal(in["shape"], &shape) != nil ||
		len(shape) != 2 || shape[0] < 1 || shape[1] != 2 || !slices.Contains([]string{"FP32", "FP64", "INT64", "INT32"}, datatype) {
		return nil, "", false, true
	}
	d := json.NewDecoder(strings.NewReader(string(in["data"])))
	d.UseNumber()
	var tree any
	var dims []int
	if in["data"] == nil || d.Decode(&tree) != nil {
		return nil, "", false, true
	}
	ok = flatten(tree, datatype, 0, &dims, &data) && (len(dims) == 1 || slices.Equal(dims, shape)) && shape[0] == len(data)/2 && len(data)%2 == 0
	return data, id, ok, true
}

// flatten reads nested arrays of numbers.
func flatten(tree any, datatype string, depth int, dims *[]int, data *[]float32) bool {
	list, isList := tree.([]any)
	if !isList {
		n, _ := tree.(json.Number)
		v, err := strconv.ParseFloat(string(n), 32)
		if bits := 64; strings.HasPrefix(datatype, "INT") {
			if datatype == "INT32" {
				bits = 32
			}
			var i int64
			i, err = strconv.ParseInt(string(n), 10, bits)
			v = float64(float32(i))
		}
		*data = append(*data, float32(v))
		return err == nil && depth > 0 && depth == len(*dims)
	}
	if depth == len(*dims) {
		if len(*data) > 0 {
			return false
		}
		*dims = append(*dims, len(list))
	}
	return (*dims)[depth] == len(list) && depth < mostAxes && !slices.ContainsFunc(list, func(e any) bool {
		return !flatten(e, datatype, depth+1, dims, data)
	})
}

// repeats says whether an object has a name twice, which JSON allows and the twin takes otherwise.
func repeats(body string) bool {
	d := json.NewDecoder(strings.NewReader(body))
	var open []map[string]bool // nil for arrays
	name := false
	for {
		token, err := d.Token()
		if err != nil {
			return false
		}
		top := len(open) - 1
		switch token {
		case json.Delim('{'):
			open, name = append(open, map[string]bool{}), true
			continue
		case json.Delim('['):
			open, name = append(open, nil), false
			continue
		case json.Delim('}'), json.Delim(']'):
			open = open[:top]
			name = top > 0 && open[top-1] != nil
			continue
		}
		if s, isText := token.(string); isText && name {
			if open[top][s] {
				return true
			}
			open[top][s], name = true, false
			continue
		}
		name = top >= 0 && open[top] != nil
	}
}

// FuzzInfer: nothing that encoding/json reads is refused, nothing else is taken, and the values are the same; and
// no panic, memory in proportion, and Meta.Check finds nothing in what is taken.
func FuzzInfer(f *testing.F) {
	for _, data := range []string{"[1,2]", "[[1,2]]", "[1.5,-2e-3]", "[0.12345678,0.1234567890123456]", "[1,[2]]", "[]", "[1e39,1]", "[\"a\"]", "[16777217,0.1]"} {
		f.Add(`{"id":"7","inputs":[{"name":"input","shape":[1,2],"datatype":"FP32","data":`+data+`}]}`, Absent)
		f.Add(`{"inputs":[{"data":`+data+`,"datatype":"INT64","shape":[1,2],"name":"input"}]}`, Absent)
	}
	f.Add(specRequest, Absent)
	f.Add(`{"inputs":[{"name":"input","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}}]}12345678`, 97)
	f.Add("12345678", Raw)
	f.Add(`{"inputs":[{"name":"input","shape":[100000000000,2],"datatype":"FP32","data":[1]}],"x":{"inputs":"\u00e9"}}`, Absent)
	f.Fuzz(checkInfer)
}

// checkInfer reads a request for denseMeta(2) and compares with the twin.
func checkInfer(t *testing.T, body string, headerLength int) {
	t.Helper()
	meta := denseMeta(2)
	var r InferRequest
	err := DecodeInfer([]byte(body), headerLength, meta, &r)
	checkDecoded(t, body, meta, &r, err)
	if headerLength != Absent {
		return
	}
	data, id, ok, known := twin(body)
	if known && ok != (err == nil) {
		t.Fatalf("%q: %v; encoding/json says %v", body, err, ok)
	}
	if !known || !ok {
		return
	}
	got := runtime.Values[float32](r.Inputs[0].Data)
	same := slices.EqualFunc(got, data, func(a, b float32) bool { return math.Abs(float64(a)) == math.Abs(float64(b)) && (a == 0 || a == b) })
	if !same || string([]rune(r.ID)) != id {
		t.Fatalf("%q is %v %q; encoding/json says %v %q", body, got, r.ID, data, id)
	}
	if text, _ := AppendInfer(nil, Answer{ID: r.ID, Specs: meta.Outputs, Outputs: r.Inputs, Wanted: r.Outputs}); !json.Valid(text) {
		t.Fatalf("the answer %s is not JSON", text)
	}
}

// TestInferAgainstTwin reads requests in every order and spelling, each also with a few bytes changed.
func TestInferAgainstTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	taken := 0
	for range 10_000 / fewer {
		body := randomInfer(r)
		if _, _, ok, known := twin(body); ok && known {
			taken++
		}
		checkInfer(t, body, Absent)
		broken := []byte(body)
		for range 1 + r.IntN(3) {
			const letters = `"{}[],:\\01.e-x `
			broken[r.IntN(len(broken))] = letters[r.IntN(len(letters))]
		}
		checkInfer(t, string(broken), Absent)
	}
	if taken < 3000/fewer {
		t.Errorf("only %d requests were good ones", taken)
	}
}

func randomInfer(r *rand.Rand) string {
	rows := 1 + r.IntN(3)
	var numbers []string
	for range 2 * rows {
		n := strings.TrimLeft(randomNumber(r), "+")
		if !json.Valid([]byte(n)) || r.IntN(3) == 0 {
			n = strconv.Itoa(r.IntN(2000) - 1000)
		}
		numbers = append(numbers, n)
	}
	data := "[" + strings.Join(numbers, []string{",", ", ", " ,\n"}[r.IntN(3)]) + "]"
	if r.IntN(3) == 0 { // nested
		data = ""
		for i := 0; i < len(numbers); i += 2 {
			data += ",[" + numbers[i] + "," + numbers[i+1] + "]"
		}
		data = "[" + data[1:] + "]"
	}
	parts := []string{`"name":"input"`, `"datatype":"` + []string{"FP32", "FP32", "FP64", "INT64", "INT32"}[r.IntN(5)] + `"`,
		`"shape":[` + strconv.Itoa(rows) + `,2]`, `"data": ` + data, `"other":{"a":["\u00e9\\",{}],"b":7}`}
	r.Shuffle(len(parts), func(i, k int) { parts[i], parts[k] = parts[k], parts[i] })
	top := []string{`"inputs":[{` + strings.Join(parts, ",") + `}]`, `"id":"\u0037ab\ud83d\ude00"`, `"x":[1.5e3,[],{"inputs":[]}]`}
	r.Shuffle(len(top), func(i, k int) { top[i], top[k] = top[k], top[i] })
	return "{" + strings.Join(top, " , ") + "}"
}
