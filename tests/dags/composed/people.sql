SELECT 'file' || id AS customerId, name
FROM people
WHERE id >= {{ params.least }} AND name LIKE :name
ORDER BY id
