def convert(number):
    return f"{number:g} miles are {number * 1.609344:.1f} kilometres"
