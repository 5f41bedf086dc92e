-- Uses a name up, or makes it usable again; asked again with the same token, it answers as before.
-- KEYS: the name, the token. ARGV: 'use' and for how long that is remembered (ms), or 'give_back'.
local known = redis.call('GET', KEYS[2])
if known then return tonumber(known) end
local done = 1
if ARGV[1] == 'use' then
  if not redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[2]) then done = 0 end
else
  redis.call('DEL', KEYS[1])
end
redis.call('SET', KEYS[2], done, 'PX', 60000)
return done
