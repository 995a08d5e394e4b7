-- An order is over: it was made, or is of no use any more.
-- KEYS: the orders, the further ones. ARGV: its entry, and its name where its worker is to stop.
local stream, id = string.match(ARGV[1], '^(%d):(.+)$')
redis.pcall('XACK', KEYS[tonumber(stream)], 'workers', id)
redis.call('XDEL', KEYS[tonumber(stream)], id)
if ARGV[2] ~= '' then
    redis.call('PUBLISH', 'hls-relay:transcode', 'stop ' .. ARGV[2])
end
