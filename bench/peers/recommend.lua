-- Random users, the same sequence for every server. SHAPE is "get" (the peer) or "post" (Sona, the empty handler).
local users = tonumber(os.getenv("USERS"))
local posts = os.getenv("SHAPE") == "post"
local headers = { ["content-type"] = "application/json" }

function init()
    math.randomseed(11)
end

function request()
    local user = math.random(0, users - 1)
    if posts then
        return wrk.format("POST", "/api/v1/recommendations", headers, '{"user_id":"' .. user .. '","limit":20}')
    end
    return wrk.format("GET", "/recommend/" .. user .. "?n=20")
end

function done(summary, latency)
    local errors = summary.errors
    local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
    io.write(string.format('RESULT {"requests": %d, "failed": %d, "p50_ms": %.3f, "p99_ms": %.3f}\n',
        summary.requests, failed, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
