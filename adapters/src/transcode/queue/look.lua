-- How many workers there are, how many orders, and how many of those are being made.
-- KEYS: the orders, the further ones, the workers.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local alive = redis.call('ZCOUNT', KEYS[3], string.format('%.0f', now), '+inf')
local orders, made = 0, 0
for stream = 1, 2 do
    orders = orders + redis.call('XLEN', KEYS[stream])
    local pending = redis.pcall('XPENDING', KEYS[stream], 'workers')
    made = made + (pending.err and 0 or pending[1])
end
return {alive, orders, made}
