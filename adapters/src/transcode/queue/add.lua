-- Puts down an order, where a worker is there to take it.
-- KEYS: the stream for it, the other one, the workers. ARGV: the order, for how many milliseconds it is of use, the
-- most that may wait, and how its stream is called in entries.
-- Gives its entry and how many workers there are; nothing where there is none.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local alive = redis.call('ZCOUNT', KEYS[3], string.format('%.0f', now), '+inf')
if alive == 0 then
    return false
end
if redis.call('XLEN', KEYS[1]) + redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[3]) then
    return redis.error_reply('FULL ' .. ARGV[3] .. ' orders wait already')
end
local id = redis.call('XADD', KEYS[1], '*', 'order', ARGV[1], 'within', ARGV[2])
redis.call('PUBLISH', 'hls-relay:transcode', 'new')
return {ARGV[4] .. ':' .. id, alive}
