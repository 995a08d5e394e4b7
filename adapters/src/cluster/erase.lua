-- Takes away a channel that is removed, once nothing of it is left.
-- ARGV: the owner's incarnation and epoch.
-- Answers 'done'; 'changed' where it is wanted again; 'fenced' or 'lost' as a publish does.
local refused = others(ARGV[1], tonumber(ARGV[2]))
if refused then
    return refused
elseif text('removed', 1) ~= '1' then
    return {'changed'}
end
redis.call('DEL', KEYS[1], KEYS[2])
return {'done', '0'}
