def convert(number):
    return f"{number:g} degrees Fahrenheit are {(number - 32) / 1.8:.1f} degrees Celsius"
