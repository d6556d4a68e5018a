select day, rate from rates
