-- Approvals: ARGV is what to do, what keys begin with, the caller's time (ms), and then what the verb takes.
-- KEYS: a token; asked again with the same one, `take`, `give_back` and `answer` say what they said before.
local verb, prefix, at = ARGV[1], ARGV[2], tonumber(ARGV[3])
local KEPT = 86400000

local function of(id) return prefix .. 'approval:' .. id end
local function field(id, name) return redis.call('HGET', of(id), name) end
local function is_over(id) return tonumber(field(id, 'expires_ms')) <= at end

local function lasts(id, expires)
  local text = string.format('%.0f', expires)
  redis.call('HSET', of(id), 'expires_ms', text)
  redis.call('PEXPIRE', of(id), string.format('%.0f', expires - at + KEPT))
  redis.call('ZADD', prefix .. 'approvals', text, id)
end

local function newest(calls, wanted)
  local ids = redis.call('LRANGE', calls, 0, -1)
  for index = #ids, 1, -1 do
    local state = field(ids[index], 'state')
    if state and wanted(state) and not is_over(ids[index]) then return ids[index], state end
  end
end

local function open(id, most, ttl_s, fingerprint, grant, ...)
  local calls, waiting = prefix .. 'approvals:of:' .. fingerprint, prefix .. 'approvals:waiting:' .. grant
  local pending = newest(calls, function(state) return state == 'pending' end)
  if pending then return pending end
  redis.call('ZREMRANGEBYSCORE', waiting, '-inf', ARGV[3])
  if redis.call('ZCARD', waiting) >= tonumber(most) then return false end
  redis.call('ZREMRANGEBYSCORE', prefix .. 'approvals', '-inf', string.format('%.0f', at - KEPT))
  local number = redis.call('INCR', prefix .. 'approvals:number')
  redis.call('HSET', of(id), 'id', id, 'number', number, 'fingerprint', fingerprint, 'grant', grant, 'state', 'pending',
    'requested_ms', ARGV[3], 'ttl_s', ttl_s, ...)
  lasts(id, at + tonumber(ttl_s) * 1000)
  local left = string.format('%.0f', tonumber(ttl_s) * 1000 + KEPT)
  redis.call('RPUSH', calls, id)
  redis.call('LTRIM', calls, -100, -1)
  redis.call('PEXPIRE', calls, string.format('%.0f', 2 * tonumber(left)))
  redis.call('ZADD', waiting, field(id, 'expires_ms'), id)
  redis.call('PEXPIRE', waiting, left)
  return id
end

local function take(id)
  if field(id, 'state') ~= 'approved' or is_over(id) then return '0' end
  redis.call('HSET', of(id), 'state', 'used')
  return '1'
end

local function give_back(id)
  if field(id, 'state') == 'used' then redis.call('HSET', of(id), 'state', 'approved') end
  return '1'
end

local function answer(id, state, ...)
  local before = field(id, 'state')
  if not before then return 'unknown' end
  if before ~= 'pending' then return 'answered' end
  if is_over(id) then return 'expired' end
  redis.call('HSET', of(id), 'state', state, 'answered_ms', ARGV[3], ...)
  redis.call('ZREM', prefix .. 'approvals:waiting:' .. field(id, 'grant'), id)
  lasts(id, at + tonumber(field(id, 'ttl_s')) * 1000)
  return 'done'
end

if verb == 'find' then
  local id, state = newest(prefix .. 'approvals:of:' .. ARGV[4], function(state) return state ~= 'used' end)
  return id and {id, state, field(id, 'rule'), field(id, 'revision'), field(id, 'person') or ''}
elseif verb == 'waits' then
  return field(ARGV[4], 'state') == 'pending' and not is_over(ARGV[4]) and '1' or '0'
elseif verb == 'list' then
  local found = {}
  for _, id in ipairs(redis.call('ZRANGE', prefix .. 'approvals', 0, -1)) do
    local fields = redis.call('HGETALL', of(id))
    if #fields > 0 then found[#found + 1] = fields end
  end
  return found
elseif verb == 'open' then
  return open(unpack(ARGV, 4))
end
local known = redis.call('GET', KEYS[1])
if known then return known end
local said = ({take = take, give_back = give_back, answer = answer})[verb](unpack(ARGV, 4))
redis.call('SET', KEYS[1], said, 'PX', 60000)
return said
