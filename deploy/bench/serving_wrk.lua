-- For wrk: 64 bodies of random values, sent in turn, as caches and branch predictors learn a single one.
-- Arguments after --: json, binary or v1; the input's name; the number of values in a row.
local ffi = require("ffi")
local requests, turn = {}, 0

local function values(n)
  local v = {}
  for i = 1, n do v[i] = math.random() * 2 - 1 end
  return v
end

local function text(v)
  local s = {}
  for i = 1, #v do s[i] = string.format("%.5g", v[i]) end
  return "[" .. table.concat(s, ",") .. "]"
end

local make = {}

function make.json(input, n)
  return string.format('{"inputs":[{"name":"%s","shape":[1,%d],"datatype":"FP32","data":%s}]}', input, n, text(values(n))), {}
end

function make.v1(_, n)
  return '{"instances":[' .. text(values(n)) .. "]}", {}
end

function make.binary(input, n)
  local data = ffi.string(ffi.new("float[?]", n, values(n)), 4 * n)
  local head = string.format('{"inputs":[{"name":"%s","shape":[1,%d],"datatype":"FP32","parameters":{"binary_data_size":%d}}],"parameters":{"binary_data_output":true}}', input, n, 4 * n)
  return head .. data, { ["Content-Type"] = "application/octet-stream", ["Inference-Header-Content-Length"] = tostring(#head) }
end

function init(args)
  math.randomseed(7)
  for i = 1, 64 do
    local body, headers = make[args[1]](args[2], tonumber(args[3]))
    headers["Content-Type"] = headers["Content-Type"] or "application/json"
    requests[i] = wrk.format("POST", nil, headers, body)
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format('{"requests":%d,"micros":%d,"bad":%d,"broken":%d,"p50":%.0f,"p99":%.0f}\n',
    summary.requests, summary.duration, e.status, e.connect + e.read + e.write + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
