-- An order is over: it was made, or is of no use any more.
-- KEYS: the orders. ARGV: its entry, and its name where its worker is to stop.
redis.pcall('XACK', KEYS[1], 'workers', ARGV[1])
redis.call('XDEL', KEYS[1], ARGV[1])
if ARGV[2] ~= '' then
    redis.call('PUBLISH', 'hls-relay:transcode', 'stop ' .. ARGV[2])
end
