-- Exact decimals: {digits, exponent}, digits without zeros at either end, zero being {'0', 0}. Lua's own numbers are
-- doubles, so digits are text and are added fourteen at a time. Put before each script that counts.
local PRECISION, LIMB, BASE = 4096, 14, 1e14
local ZERO = {'0', 0}

local function normal(digits, exponent)
  local first = string.find(digits, '[1-9]')
  if not first then return ZERO end
  local _, last = string.find(digits, '^.*[1-9]')
  return {string.sub(digits, first, last), exponent + #digits - last}
end

local function parse(text)
  local digits, exponent = string.match(text, '^(%d+)e(-?%d%d?%d?%d?%d?%d?%d?)$')
  return digits and normal(digits, tonumber(exponent))
end

local function text(value)
  return value[1] .. 'e' .. string.format('%.0f', value[2])
end

local function exceeds(left, right)
  if left[1] == '0' or right[1] == '0' then return left[1] ~= '0' and right[1] == '0' end
  local top, other = #left[1] + left[2], #right[1] + right[2]
  if top ~= other then return top > other end
  return left[1] > right[1]
end

-- left + sign * right, or nil where that needs more digits than are kept; right must not exceed left if sign is -1.
local function combined(left, right, sign)
  if left[1] == '0' then left = {'0', right[2]} end
  if right[1] == '0' then right = {'0', left[2]} end
  local low = math.min(left[2], right[2])
  local length = math.max(#left[1] + left[2], #right[1] + right[2]) - low
  if length > PRECISION then return nil end
  local limbs = math.floor(length / LIMB) + 1
  local function aligned(value)
    local behind = value[2] - low
    return string.rep('0', limbs * LIMB - #value[1] - behind) .. value[1] .. string.rep('0', behind)
  end
  local above, below, made, carry = aligned(left), aligned(right), {}, 0
  for limb = limbs, 1, -1 do
    local from, to = (limb - 1) * LIMB + 1, limb * LIMB
    local total = tonumber(string.sub(above, from, to)) + sign * tonumber(string.sub(below, from, to)) + carry
    carry = math.floor(total / BASE)
    made[limb] = string.format('%014.0f', total - carry * BASE)
  end
  local result = normal(table.concat(made), low)
  return #result[1] <= PRECISION and result or nil
end
