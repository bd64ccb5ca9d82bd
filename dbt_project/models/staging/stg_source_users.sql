{{ directory_users(source('raw', 'source_users')) }}
