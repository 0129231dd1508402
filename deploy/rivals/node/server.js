// ONNX Runtime behind Node's HTTP server, as a team writes it in an afternoon: each request is a call of
// its own and nothing is batched. One thread for each call, as in our server: with ONNX Runtime's default
// of one for each core, which wait by spinning, it uses several times the CPU. It speaks as much of the
// Open Inference Protocol as the benchmark needs.
//
//   node server.js MODEL.onnx NAME PORT
const http = require('node:http');
const ort = require('onnxruntime-node');

const [file, name, port] = process.argv.slice(2);

async function main() {
  const session = await ort.InferenceSession.create(file, { intraOpNumThreads: 1 });
  const [input] = session.inputMetadata;
  const shape = input.shape.map((d) => (typeof d === 'number' ? d : -1));
  const metadata = {
    name, versions: ['1'], platform: 'onnxruntime_onnx',
    inputs: [{ name: input.name, datatype: 'FP32', shape }],
    outputs: session.outputNames.map((n) => ({ name: n, datatype: 'FP32', shape: [-1] })),
  };

  async function infer(text) {
    const [given] = JSON.parse(text).inputs;
    const tensor = new ort.Tensor('float32', Float32Array.from(given.data.flat(Infinity)), given.shape);
    const results = await session.run({ [input.name]: tensor });
    return {
      model_name: name,
      outputs: Object.entries(results).map(([n, t]) => ({ name: n, datatype: 'FP32', shape: t.dims, data: Array.from(t.data) })),
    };
  }

  function send(res, status, value) {
    const text = JSON.stringify(value);
    res.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
    res.end(text);
  }

  http.createServer((req, res) => {
    if (req.method === 'GET') return send(res, 200, req.url === `/v2/models/${name}` ? metadata : {});
    const parts = [];
    req.on('data', (part) => parts.push(part));
    req.on('end', () => infer(Buffer.concat(parts).toString()).then((value) => send(res, 200, value), (err) => send(res, 400, { error: String(err) })));
  }).listen(Number(port), '127.0.0.1', () => console.log(`ready with onnxruntime-node ${require('onnxruntime-node/package.json').version}, node ${process.version}`));
}

main();
