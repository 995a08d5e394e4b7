-- A worker takes no more.
-- KEYS: the orders, the workers. ARGV: the worker, and 1 where it has nothing under way either.
redis.call('ZREM', KEYS[2], ARGV[1])
if ARGV[2] == '1' then
    redis.pcall('XGROUP', 'DELCONSUMER', KEYS[1], 'workers', ARGV[1])
end
