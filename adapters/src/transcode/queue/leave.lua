-- A worker takes no more.
-- KEYS: the orders, the further ones, the workers. ARGV: the worker, and 1 where it has nothing under way either.
redis.call('ZREM', KEYS[3], ARGV[1])
if ARGV[2] == '1' then
    for stream = 1, 2 do
        redis.pcall('XGROUP', 'DELCONSUMER', KEYS[stream], 'workers', ARGV[1])
    end
end
