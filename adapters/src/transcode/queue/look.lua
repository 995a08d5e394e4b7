-- How many workers there are, how many orders, and how many of those are being made.
-- KEYS: the orders, the workers.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local alive = redis.call('ZCOUNT', KEYS[2], string.format('%.0f', now), '+inf')
local pending = redis.pcall('XPENDING', KEYS[1], 'workers')
return {alive, redis.call('XLEN', KEYS[1]), pending.err and 0 or pending[1]}
