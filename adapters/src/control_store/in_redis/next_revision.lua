-- The next revision: no channel has had it, not even where Redis has lost what it knew.
-- KEYS: the counter. ARGV: a revision that it has to be above.
local last = redis.pcall('GET', KEYS[1])
last = type(last) == 'string' and tonumber(last) or 0
-- Beyond this a number and the next one are soon the same to a script. Nobody has counted so far: it is garbage.
if not (last >= 0 and last <= 2 ^ 52) then
    last = 0
end
-- Milliseconds since the begin of 2026.
local time = redis.call('TIME')
local passed = (tonumber(time[1]) - 1767225600) * 1000 + math.floor(tonumber(time[2]) / 1000)
local next = string.format('%.0f', math.max(last + 1, tonumber(ARGV[1]) + 1, passed))
redis.call('SET', KEYS[1], next)
return next
